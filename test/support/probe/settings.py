
# As slow to import as a project that has grown.
import time

time.sleep(1)
INSTALLED_APPS += ["probe"]
